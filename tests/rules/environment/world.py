"""A world in which decisions are carried out, so that whole deployments can be played in a test."""

from dataclasses import replace

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide
from halage.environment.rules import (
    Action,
    Answers,
    BeginBatch,
    CreateInstance,
    DeploymentFacts,
    Drain,
    End,
    Finish,
    Halt,
    InstanceFacts,
    Judged,
    Launch,
    LookAgain,
    Move,
    Prepare,
    Restart,
    RollBack,
    RolloutFacts,
    Route,
    RunReleaseCommand,
    Situation,
)
from halage.site.settings import DeploymentPlan, Policy

OLD, NEW = 1, 2


class World:
    """Carries out actions; boots succeed unless a release is in `broken`."""

    def __init__(self, wanted: int = 2, current: int | None = None) -> None:
        self.now = 1000.0
        self.wanted = wanted
        self.current = current
        self.deployment: DeploymentFacts | None = None
        self.instances: dict[str, InstanceFacts] = {}
        self.broken: set[int] = set()
        self.silent: set[int] = set()
        self.history: list[Action] = []
        self.finished: DeploymentState | None = None
        self.fewest_serving = 99
        self.keep_old_s = 0.0
        self.new_answers: Answers | None = None
        self.old_answers: Answers | None = None
        self._next = 0

    def deploy(
        self,
        release: int,
        deadline_s: float = 600.0,
        policy: Policy = Policy.ROLLING_ADDITIONAL,
        plan: DeploymentPlan = DeploymentPlan(),
    ) -> None:
        self.finished = None
        self.keep_old_s = plan.keep_old_s
        self.deployment = DeploymentFacts(
            id=7,
            state=DeploymentState.RUNNING,
            release_id=release,
            previous_release_id=self.current,
            deadline_at=self.now + deadline_s,
            rollout=RolloutFacts(policy, plan, new_answers=self.new_answers, old_answers=self.old_answers),
        )

    @property
    def situation(self) -> Situation:
        return Situation(
            now=self.now,
            wanted=self.wanted,
            current_release_id=self.current,
            deployment=self.deployment,
            instances=tuple(self.instances.values()),
            keep_old_s=self.keep_old_s,
        )

    def serving(self, release: int | None = None) -> list[InstanceFacts]:
        return [
            i
            for i in self.instances.values()
            if i.in_balancer == "serving" and i.died is None and i.is_up and release in (None, i.release_id)
        ]

    def step(self) -> bool:
        """Decide once and carry it out; whether anything but waiting was done."""
        actions = decide(self.situation)
        for action in actions:
            self.carry_out(action)
        self.fewest_serving = min(self.fewest_serving, len(self.serving()))
        return any(not isinstance(action, LookAgain) for action in actions)

    def settle(self, most: int = 500) -> None:
        """Decide until nothing is left to do; time passes while the decisions wait."""
        for _ in range(most):
            if self.step() or self.happen():
                continue
            waits = [a.after_s for a in decide(self.situation) if isinstance(a, LookAgain)]
            if not waits:
                return
            self.now += min(waits)
        raise AssertionError(f"did not settle: {self.situation}")

    def happen(self) -> bool:
        """What the processes do by themselves while nobody decides; whether anything did."""
        before = dict(self.instances)
        for i in tuple(self.instances.values()):
            if i.state is InstanceState.STARTING and i.is_known and not i.died and not i.unanswered:
                if i.release_id in self.broken:
                    self.change(i.id, died="exited with code 1")
                elif i.release_id in self.silent:
                    self.change(i.id, unanswered="gave no good answer")
                else:
                    self.change(i.id, has_answered=True)
            if i.state is InstanceState.STOPPING and i.is_ending:
                del self.instances[i.id]
        return before != self.instances

    def change(self, instance_id: str, **values: object) -> None:
        self.instances[instance_id] = replace(self.instances[instance_id], **values)  # type: ignore[arg-type]

    def note(self, **values: object) -> None:
        assert self.deployment is not None
        rollout = replace(self.deployment.rollout, **values)  # type: ignore[arg-type]
        self.deployment = replace(self.deployment, rollout=rollout)

    def carry_out(self, action: Action) -> None:
        if not isinstance(action, LookAgain):
            self.history.append(action)
        match action:
            case Prepare():
                assert self.deployment is not None
                self.deployment = replace(self.deployment, is_prepared=True)
            case RunReleaseCommand():
                assert self.deployment is not None
                self.deployment = replace(self.deployment, is_released=True)
            case CreateInstance(release_id):
                self._next += 1
                name = f"i-{self._next}"
                self.instances[name] = InstanceFacts(name, release_id, InstanceState.STARTING, since=self.now)
            case Launch(instance_id):
                self.change(instance_id, is_known=True)
            case Move(instance_id, state, _):
                self.change(instance_id, state=state, since=self.now)
            case Restart(instance_id, at, strikes, _):
                blank = InstanceFacts(
                    instance_id, self.instances[instance_id].release_id, InstanceState.STARTING
                )
                self.instances[instance_id] = replace(blank, restart_at=at, strikes=strikes, since=self.now)
            case Route(instance_id, share):
                self.change(instance_id, in_balancer="serving", share=share)
            case BeginBatch(number):
                self.note(batch=number)
            case Judged(verdict):
                self.note(verdict=verdict)
            case Halt(reason):
                self.note(halted=reason)
            case Drain(instance_id):
                self.change(instance_id, in_balancer="draining")
            case End(instance_id):
                self.change(instance_id, is_ending=True, in_balancer=None)
            case RollBack(_):
                assert self.deployment is not None
                self.deployment = replace(
                    self.deployment, state=DeploymentState.ROLLING_BACK, deadline_at=self.now + 600
                )
            case Finish(state):
                assert self.deployment is not None
                if state is DeploymentState.SUCCEEDED:
                    self.current = self.deployment.release_id
                self.finished, self.deployment = state, None
