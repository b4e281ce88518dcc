"""Routes about certificates: of environments, of the console, and of the authority of this server."""

from fastapi import Response

from halage.environment.certificates.model import Origin
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import EnvironmentName, ProjectName
from halage.web.api.requests_certificates import CertificateWanted
from halage.web.api.schemas_certificates import Authority, Certificate
from halage.web.caller import Caller, Door, Signed
from halage.web.services import Services

router = closed_router(
    "certificates", prefix="/projects/{project}/environments/{environment}/certificate", also=(404,)
)
server_router = closed_router("certificates", prefix="/server")


@router.get("", operation_id="show_certificate")
async def show_certificate(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> Certificate:
    """The certificate that visitors of the environment are shown; never its key."""
    caller.must_in(project, "environment:Show", environment)
    return Certificate.of(door.certificates.show((project, environment)))


@router.put("", operation_id="set_certificate")
async def set_certificate(
    project: ProjectName, environment: EnvironmentName, body: CertificateWanted, caller: Signed, door: Door
) -> Certificate:
    """Give a certificate with its key, or let one be made; it is shown to visitors at once."""
    caller.must_in(project, "environment:SetCertificate", environment)
    return await _set((project, environment), body, caller, door)


@router.delete("", operation_id="remove_certificate", status_code=204)
async def remove_certificate(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> Response:
    """Forget the certificate; where HTTPS is on, one is made in its place."""
    caller.must_in(project, "environment:SetCertificate", environment)
    await door.certificates.remove((project, environment), actor=caller.name)
    return Response(status_code=204)


@server_router.get("/certificate", operation_id="show_console_certificate", responses=problems(404, 409))
async def show_console_certificate(caller: Signed, door: Door) -> Certificate:
    """The certificate of the console's own host name; never its key."""
    caller.must("server:SetCertificate", "server")
    return Certificate.of(door.certificates.show(None))


@server_router.put("/certificate", operation_id="set_console_certificate", responses=problems(409))
async def set_console_certificate(body: CertificateWanted, caller: Signed, door: Door) -> Certificate:
    """The same for the console's own host name."""
    caller.must("server:SetCertificate", "server")
    return await _set(None, body, caller, door)


@server_router.delete(
    "/certificate", operation_id="remove_console_certificate", status_code=204, responses=problems(404, 409)
)
async def remove_console_certificate(caller: Signed, door: Door) -> Response:
    """The same for the console's own host name."""
    caller.must("server:SetCertificate", "server")
    await door.certificates.remove(None, actor=caller.name)
    return Response(status_code=204)


@server_router.get("/authority", operation_id="show_authority")
async def show_authority(caller: Signed, door: Door) -> Authority:
    """The authority that signs made certificates: who takes it into a browser trusts them all."""
    caller.must("server:ShowAuthority", "server")
    return Authority(chain=await door.certificates.authority())


async def _set(
    place: tuple[str, str] | None, body: CertificateWanted, caller: Caller, door: Services
) -> Certificate:
    if body.origin is Origin.GIVEN:
        given = (body.certificate or "", body.key or "")
        return Certificate.of(await door.certificates.give(place, *given, actor=caller.name))
    is_self_signed = body.origin is Origin.SELF_SIGNED
    made = await door.certificates.make(place, is_self_signed=is_self_signed, actor=caller.name)
    return Certificate.of(made)
