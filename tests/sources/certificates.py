"""Certificates for tests: a CA, a server of 127.0.0.1 and a client, made by openssl."""

import subprocess
from pathlib import Path


def make(folder: Path) -> Path:
    """Writes ca.pem, server.pem and client.pem, with their keys beside them (`.key`)."""
    _openssl("req", "-x509", *_new(folder, "ca"), "-subj", "/CN=Test CA", "-days", "2", "-out", str(folder / "ca.pem"))
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text(extension)
        _openssl("req", *_new(folder, name), "-subj", f"/CN={name}", "-out", str(request))
        signing = ("-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", "2")
        _openssl(
            "x509",
            "-req",
            "-in",
            str(request),
            *signing,
            "-extfile",
            str(extensions),
            "-out",
            str(folder / f"{name}.pem"),
        )
    return folder


def _new(folder: Path, name: str) -> tuple[str, ...]:
    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
    return ("-newkey", "ec", *curve, "-nodes", "-keyout", str(folder / f"{name}.key"))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
