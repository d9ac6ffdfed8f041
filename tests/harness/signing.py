"""Keys and certificates as an operator makes them: files in PEM form."""

from __future__ import annotations

import datetime
import functools
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(kind: str = "ed25519") -> Private:
    """A private key: ed25519, rsa, weak (RSA of 1024 bits), p256 or p384."""
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65_537, 1_024 if kind == "weak" else 2_048)


@functools.cache
def a_key(kind: str) -> Private:
    """One for all who need any: those of RSA take a tenth of a second to make."""
    return new_key(kind)


def pem(key: Private, password: bytes | None = None) -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def public_pem(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write(path: Path, content: bytes) -> str:
    """Puts a file in the place of another one, as those do who rotate keys; gives its path."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)
    return str(path)


class Authority:
    """A certificate authority of its own."""

    def __init__(self, name: str = "Test authority") -> None:
        self._key = new_key("p256")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        is_one = x509.BasicConstraints(ca=True, path_length=0)
        made = self._begun(self._name, self._key).add_extension(is_one, critical=True)
        may = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = made.add_extension(may, critical=True)
        named = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._named = named
        self.pem = made.add_extension(named, critical=False).sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _begun(self, subject: x509.Name, key: Private, days: int = 30) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def issue(self, name: str, days: int = 30) -> tuple[bytes, bytes]:
        """A certificate for a server on 127.0.0.1 or a client that holds for so many days, and its private key, both in PEM form."""
        key = new_key("p256")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._named)
        made = self._begun(subject, key, days).add_extension(here, critical=False).add_extension(by, critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), pem(key)
