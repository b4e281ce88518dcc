"""Routes about people and their credentials."""

from typing import Annotated

from fastapi import Query, Request, Response

import halage
from halage.access.model import Principal
from halage.web.api import schemas
from halage.web.api.answers import closed_router, open_router, problems
from halage.web.api.requests import Login, TokenId, TokenWanted, UserName, UserWanted
from halage.web.caller import Door, Signed
from halage.web.problems import NotSignedIn
from halage.web.services import Services

LOGIN_TOKEN_LIFETIME_S = 30 * 86400.0

login_router = open_router("access")
router = closed_router("access")

UserFilter = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z][a-z0-9._-]{0,62}$",
        description="Whose; your own when left out. Others' need an administrator.",
    ),
]


@login_router.post("/login", operation_id="login", status_code=201, responses=problems(401, 429))
async def login(body: Login, request: Request, door: Door) -> schemas.NewToken:
    """A token for name and password, good for 30 days. Attempts are limited."""
    address = request.client.host if request.client else "unknown"
    principal = await door.access.authenticate_password(body.user, body.password, address)
    expires_at = door.clock.now() + LOGIN_TOKEN_LIFETIME_S
    return await _new_token(door, principal, f"login from {address}", expires_at)


@router.get("/me", operation_id="show_me")
async def show_me(caller: Signed) -> schemas.Me:
    """Who the credential of this request belongs to."""
    principal = caller.principal
    caller.must("access:ManageOwn", f"user/{principal.name}")
    return schemas.Me(
        name=principal.name,
        is_admin=principal.is_admin,
        roles=dict(principal.roles),
        via=principal.via,
        version=halage.__version__,
    )


@router.get("/users", operation_id="list_users")
async def list_users(caller: Signed, door: Door) -> list[schemas.User]:
    """Everyone."""
    caller.must("access:ManageUsers", "server")
    return [schemas.User.of(user) for user in await door.access.list_users()]


@router.post("/users", operation_id="add_user", status_code=201, responses=problems(409))
async def add_user(body: UserWanted, caller: Signed, door: Door) -> schemas.NewUser:
    """Add a person, and give the link for their first sign-in."""
    caller.must("access:ManageUsers", f"user/{body.name}")
    user = await door.access.create_user(
        body.name, password=body.password, is_admin=body.is_admin, actor=caller.name
    )
    secret = await door.access.create_login_link(user.name, actor=caller.name)
    link = f"{door.public_url}/login/{secret}"
    return schemas.NewUser(**schemas.User.of(user).model_dump(), login_link=link)


@router.delete("/users/{user}", operation_id="end_user", status_code=204, responses=problems(404, 409))
async def end_user(user: UserName, caller: Signed, door: Door) -> Response:
    """Let a person in no more: their tokens, git credentials, sessions and roles end at once."""
    caller.must("access:ManageUsers", f"user/{user}")
    await door.access.end_user(user, actor=caller.name)
    return Response(status_code=204)


@router.post(
    "/users/{user}/login-link", operation_id="create_login_link", status_code=201, responses=problems(404)
)
async def create_login_link(user: UserName, caller: Signed, door: Door) -> schemas.LoginLink:
    """A new one-time link, for someone who lost their password."""
    caller.must("access:ManageUsers", f"user/{user}")
    secret = await door.access.create_login_link(user, actor=caller.name)
    return schemas.LoginLink(login_link=f"{door.public_url}/login/{secret}")


@router.get("/tokens", operation_id="list_tokens", responses=problems(404))
async def list_tokens(caller: Signed, door: Door, user: UserFilter = None) -> list[schemas.Token]:
    """Tokens and git credentials, without their secrets."""
    owner = user or caller.name
    caller.must("access:ManageOwn", f"user/{owner}")
    return [schemas.Token.of(token) for token in await door.access.list_tokens(owner)]


@router.post("/tokens", operation_id="create_token", status_code=201)
async def create_token(body: TokenWanted, caller: Signed, door: Door) -> schemas.NewToken:
    """An API token for oneself. Its secret is in this answer and nowhere else."""
    caller.must("access:ManageOwn", f"user/{caller.name}")
    expires_at = None if body.lifetime_s is None else door.clock.now() + body.lifetime_s
    return await _new_token(door, caller.principal, body.name, expires_at)


@router.delete("/tokens/{token_id}", operation_id="revoke_token", status_code=204, responses=problems(404))
async def revoke_token(token_id: TokenId, caller: Signed, door: Door) -> Response:
    """End a token or a git credential at once."""
    caller.must("access:ManageOwn", f"user/{caller.name}")
    await door.access.revoke_token(token_id, caller.principal)
    return Response(status_code=204)


@router.post("/git-credentials", operation_id="create_git_credential", status_code=201)
async def create_git_credential(caller: Signed, door: Door) -> schemas.GitCredential:
    """A name and password for git, made for the caller. The password is shown once."""
    caller.must("access:ManageOwn", f"user/{caller.name}")
    token, secret = await door.access.create_token(caller.name, "git", kind="git", actor=caller.name)
    expires_at = schemas.Token.of(token).expires_at
    return schemas.GitCredential(id=token.id, username=caller.name, password=secret, expires_at=expires_at)


async def _new_token(
    door: Services, principal: Principal, name: str, expires_at: float | None
) -> schemas.NewToken:
    if principal.via == "git":
        raise NotSignedIn("A git credential opens git alone; sign in with an API token.")
    token, secret = await door.access.create_token(
        principal.name, name, expires_at=expires_at, actor=principal.name
    )
    return schemas.NewToken(**schemas.Token.of(token).model_dump(), token=secret)
