"""Detects Tokenward token values and SCIM credentials: detect-secrets scan -p detect_secrets_tokenward.py PATH

The last six characters are a checksum of the rest. Strings with a wrong checksum are not reported.
Report leaked values to @ISSUER@/v4/leaks. The token is then deleted, the credential revoked.
"""

import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum(text):
    """Returns the CRC-32 of the text as six base62 digits."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits


class TokenwardDetector(RegexBasedDetector):
    """Detects Tokenward API access tokens."""

    secret_type = "Tokenward API access token"
    denylist = [re.compile(r"(?<![0-9A-Za-z])(@PATTERN@)(?![0-9A-Za-z])")]

    def analyze_string(self, string):
        for value in super().analyze_string(string):
            if checksum(value[:-6]) == value[-6:]:
                yield value
