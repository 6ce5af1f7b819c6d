"""The environment flows in, how large anything foreign may be flows out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from traces.bundle.errors import BundleError

PREFIX = "TRACESITE_MAX_"
# The reference reads no document that nests deeper, so no higher value could mean anything.
REFERENCE_DEPTH = 127


class Limits(msgspec.Struct, frozen=True):
    """Generous: against bombs, not against long sessions. The setting is `TRACESITE_MAX_` and the name."""

    upload_bytes: int = 5_000_000_000
    unpacked_bytes: int = 20_000_000_000
    file_bytes: int = 2_000_000_000
    files: int = 1_000_000  # folders count too
    folder_depth: int = 16
    path_bytes: int = 1024
    # A session repeats its history with every request, and zstd with a long window packs that 1,000 times and more.
    ratio: int = 10_000
    ratio_after_bytes: int = 256_000_000
    manifest_bytes: int = 1_000_000
    line_bytes: int = 64_000_000
    payload_bytes: int = 512_000_000
    json_depth: int = REFERENCE_DEPTH

    def refusal(self, field: str, what: str) -> BundleError:
        """The one way to refuse something: `what` is wrong, which limit says so, and what to do about it."""
        said = f"{what}, the limit of {PREFIX}{field.upper()}"
        return BundleError(said, hint="raise it and try again if you trust where this comes from")

    def check_size(self, field: str, path: str, size: int) -> None:
        """Call before a file is read whole."""
        most = getattr(self, field)
        if size > most:
            raise self.refusal(field, f"{path} has {size:,} bytes and is not read: that is more than {most:,}")


DEFAULT_LIMITS = Limits()


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The defaults with what the environment says instead; BundleError for what is no sensible number."""
    said = {name: environment.get(PREFIX + name.upper(), "") for name in Limits.__struct_fields__}
    return Limits(**{name: _number(name, text) for name, text in said.items() if text})


def _number(name: str, text: str) -> int:
    most = REFERENCE_DEPTH if name == "json_depth" else 2**63 - 1
    digits = text.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and 0 < int(digits) <= most):
        raise BundleError(f"{PREFIX}{name.upper()} is {text!r}", hint=f"give a whole number from 1 to {most:,}")
    return int(digits)
