"""The certificate of an environment: what visitors are shown by HTTPS."""

from fastapi import APIRouter, Request, Response

from halage.balancer.errors import BadCertificate
from halage.environment.certificates.errors import NoSuchCertificate
from halage.environment.certificates.model import ShownCertificate
from halage.web.console.console import Console, add, see, status_of


class CertificatePages:
    """The page of a certificate, and its forms."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._environments = console.services.environments
        self._certificates = console.services.certificates

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}/certificate"
        add(router, base, get=self.show, post=self.give)
        add(router, f"{base}/make", post=self.make)
        add(router, f"{base}/remove", post=self.remove)
        add(router, f"{base}/authority", get=self.download_authority)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """What is shown to visitors."""
        await self._console.visitor_at(request, project, environment)
        return await self._page(request, project, environment)

    async def give(self, request: Request, project: str, environment: str) -> Response:
        """Take the certificate of the form; its key is in no answer."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:SetCertificate")
        form = await self._console.form(request, visitor)
        try:
            await self._certificates.give(
                (project, environment),
                form.get("certificate", ""),
                form.get("key", ""),
                actor=visitor.principal.name,
            )
        except BadCertificate as error:
            return await self._page(request, project, environment, status_of(error), error.message)
        return see(_address(project, environment))

    async def make(self, request: Request, project: str, environment: str) -> Response:
        """Let one be made."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:SetCertificate")
        form = await self._console.form(request, visitor)
        is_self_signed = form.text("origin") == "self_signed"
        try:
            await self._certificates.make(
                (project, environment), is_self_signed=is_self_signed, actor=visitor.principal.name
            )
        except BadCertificate as error:
            return await self._page(request, project, environment, status_of(error), error.message)
        return see(_address(project, environment))

    async def remove(self, request: Request, project: str, environment: str) -> Response:
        """Forget it."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:SetCertificate")
        await self._console.form(request, visitor)
        await self._certificates.remove((project, environment), actor=visitor.principal.name)
        return see(_address(project, environment))

    async def download_authority(self, request: Request, project: str, environment: str) -> Response:
        """The certificate of the server's authority, as a file that browsers take."""
        await self._console.visitor_at(request, project, environment)
        return Response(
            await self._certificates.authority(),
            media_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": 'attachment; filename="halage-authority.pem"'},
        )

    async def _page(
        self,
        request: Request,
        project: str,
        environment: str,
        status: int = 200,
        problem: str | None = None,
    ) -> Response:
        shown: ShownCertificate | None
        try:
            shown = self._certificates.show((project, environment))
        except NoSuchCertificate:
            shown = None
        return self._console.page(
            request,
            "environment_certificate.html",
            status,
            project=project,
            environment=await self._environments.show(project, environment),
            certificate=shown,
            problem=problem,
        )


def _address(project: str, environment: str) -> str:
    return f"/projects/{project}/environments/{environment}/certificate"
