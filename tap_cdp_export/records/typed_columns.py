"""Names and types of columns that are made of a vendor's definitions."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

_LONGEST_NAME: Final = 40  # with prefix and suffix below the 63 characters of PostgreSQL


def column_name(prefix: str, name: object) -> str:
    """Spell a definition's name with small letters, digits and underscores only.

    Args:
        prefix: such as `attribute_`.
        name: such as `First name`; other letters lose their marks, or are lost.

    Returns:
        Such as `attribute_first_name`; the prefix alone where no letter is left.
    """
    spelled = unicodedata.normalize("NFKD", name if isinstance(name, str) else "").encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", spelled)
    return prefix + re.sub(r"[^a-z0-9]+", "_", words.lower())[:_LONGEST_NAME].strip("_")


def with_suffix(column: str, identity: str) -> str:
    """Make a name unique where several definitions would share it.

    Args:
        column: as `column_name` gives it.
        identity: what tells the definition from all others.

    Returns:
        The name with a suffix that depends on the identity alone.
    """
    return f"{column.rstrip('_')}_{hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()}"


def type_word(text: str) -> str:
    """Reduce the name of a type to its letters: `Number with decimals` gives `numberwithdecimals`.

    Args:
        text: as the vendor spells it; what stands in parentheses is a remark.

    Returns:
        Small letters.
    """
    return re.sub(r"\([^)]*\)|[^a-z]", "", text.lower())
