"""Who we are at ARM: the one credential that the settings name, never whichever of many happens to work.

Called once by the link. Its errors say what is missing; no secret is in any of them, and none is kept outside the credential itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.transport import AsyncHttpTransport

from burster.clients.arm.answers import short
from burster.clients.arm_settings import ArmSettings
from burster.model.errors import RemoteError


_FILE_MAX_BYTES: Final = 100_000


def new_credential(settings: ArmSettings, transport: AsyncHttpTransport[Any, Any]) -> AsyncTokenCredential:
    """Return the credential that was asked for by name. Raises RemoteError Unauthorized where it can't be made of what is there.

    ``transport`` leads to where one logs in; a managed identity is asked of the machine itself, without it.
    """
    from azure.identity import aio

    authority = settings.endpoints.authority
    common: dict[str, Any] = {"authority": authority, "transport": transport}
    client_id, tenant_id = settings.client_id or None, settings.tenant_id or None
    ways: dict[str, Callable[[], AsyncTokenCredential]] = {
        "workload-identity": lambda: aio.WorkloadIdentityCredential(client_id=client_id, tenant_id=tenant_id, **common),
        "managed-identity": lambda: aio.ManagedIdentityCredential(client_id=client_id),
        "environment": lambda: aio.EnvironmentCredential(**common),
        "client-secret": lambda: aio.ClientSecretCredential(
            settings.tenant_id, settings.client_id, _read(settings.client_secret_file).decode().strip(), **common
        ),
        "client-certificate": lambda: aio.CertificateCredential(
            settings.tenant_id,
            settings.client_id,
            certificate_data=_read(settings.client_certificate_file),
            **common,
        ),
        "azure-cli": lambda: aio.AzureCliCredential(tenant_id=settings.tenant_id),
        "default": lambda: aio.DefaultAzureCredential(authority=authority),
    }
    try:
        return ways[settings.auth]()
    except (ValueError, OSError) as error:
        raise RemoteError(
            "Unauthorized", f"no login by {settings.auth}: {short(str(error))}", code="NoLogin", matter="auth"
        ) from None


def _read(name: str) -> bytes:
    with Path(name).open("rb") as file:
        return file.read(_FILE_MAX_BYTES)
