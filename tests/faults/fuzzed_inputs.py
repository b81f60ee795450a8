"""Inputs of the reader fuzz: the bad-input catalogue (docs/reliability.md, section 6) and mutations of it."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

_VALUES: Final = (
    b"1", b"-0", b"1e5", b"1E400", b"-1e999", b"9223372036854775807", b"9223372036854775808", b"1" * 400, b"1" * 5000,
    b"0.1", b"01", b"1.", b"NaN", b"Infinity", b"-Infinity", b"true", b"null", b"tru", b'""', b'"x"', b'"\\u0000"',
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\x00"',
    b'"\x1f"', b'"\\x"', b'"%b"' % (b"y" * 3000), b"[]", b"{}", b"[1,2]", b"[[[[]]]]", b"[" * 90 + b"]" * 90,
    b"[" * 101 + b"]" * 101, b"[" * 1500 + b"]" * 1500, b'{"a":' * 1200 + b"1" + b"}" * 1200, b'{"a":1,"a":2}',
    b"0", b"-1", b"1700000000", b'"1700000000"', b'"2024-03-01 09:00:00.5 +0100"',
    b'"a},{\\"name\\":\\"b\\"}"', b'"\\\\"', b"1700000000000", b'"2024-01-01T00:00:00.000Z"', b'"9999-99-99"', b"// c",
)  # fmt: skip
_FILES: Final = (
    "a.txt", "../../up", "/root", "a/", "ü", "same", "same", "_SUCCESS", "__MACOSX/x", "C:\\x", ".", "x" * 300,
)  # fmt: skip
_NAMES: Final = (
    "name", "displayName", "attributes", "segments", "lastActivity", "totalActions", "engagementScore", "braze_id",
    "custom_attributes", "created_at", "sections", "events", "value", "profiles", "extra", "dataset_id", "window_end",
    "\\u0000", "\\ud800", "", 'ü\\"},{', "typeId", "correlationId", "sourceEventTime", "createdAt", "data", "tags",
)  # fmt: skip


def _object(random: Random, first: bytes) -> bytes:
    fields = [first] if random.random() < 0.95 else []
    names = random.choices(_NAMES, k=random.randrange(4))
    fields += [f'"{name}":'.encode() + random.choice(_VALUES) for name in names]
    if random.random() < 0.2:
        random.shuffle(fields)
    return b"{" + random.choice((b",", b" ,\n ")).join(fields) + b"}"


def json_array(random: Random) -> bytes:
    """Generate a JSON page of Personalization."""
    key = random.choice((b'"name":"n%d"', b'"name":"n%d"', b'"name":%d', b'"userId":"u%d"', b'"name":null,"id":%d'))
    members = [_object(random, key % number) for number in range(random.randrange(6))]
    if random.random() < 0.02:
        return b"null"
    return random.choice((b"", b"", b"", b"\xef\xbb\xbf", b" ")) + b"[" + b",".join(members) + b"]"


def csv(random: Random) -> bytes:
    """Generate a CSV page of Personalization."""
    blank = random.choice(([], [], [], [b""], [b" "]))
    name = random.choice((b"name", b"name", b"Name", b"User ID"))
    rows = [*blank, name + b",displayName,segments,odd\xc3\xbc"]
    rows += [b'n%d,"a ""q"" \n b",s|t,%s' % (number, random.choice(_VALUES)[:50]) for number in range(4)]
    return random.choice((b"\n", b"\r\n")).join(rows) + random.choice((b"", b"\n", b"\n\n"))


def export_file(random: Random) -> bytes:
    """Generate an export file of APSIS One."""
    profiles = []
    for number in range(random.randrange(4)):
        event = b'{"typeId":%s,"createdAt":%s,"data":%s}' % tuple(random.choices(_VALUES, k=3))
        entry = random.choice((b'{"value":%s}', b"{}", b"%s", b'{"value":%s,"more":1}', b'{"other":%s}'))
        entry = entry % random.choice((b"true", b"null", random.choice(_VALUES))) if b"%" in entry else entry
        attributes = b'{"%d":%s}' % (random.randrange(1, 4), entry)
        section = b'{"attributes":%s,"events":[%s]}' % (attributes, event)
        several = b'{"1":%s,"1":{},"2":{"events":[%s],"events":[]}}' % (section, event)
        sections = random.choice(
            (b'{"1":%s}' % section, several, b'{"1":null}', b"{}", b"null", random.choice(_VALUES))
        )
        key = b'"p%d":' % random.choice((number, number, 0))
        profiles.append(key + _object(random, b'"sections":' + sections))
    prefix = b'"metadata":' + random.choice(_VALUES) + b"," if random.random() < 0.3 else b""
    suffix = b',"more":' + random.choice(_VALUES) if random.random() < 0.3 else b""
    members = b"{" + b",".join(profiles) + b"}" if random.random() < 0.95 else b"null"
    return b"{" + prefix + b'"profiles":' + members + suffix + b"}"


def lines(random: Random) -> bytes:
    """Generate JSON lines of Braze."""
    objects = [_object(random, b'"braze_id":"b%d"' % number) for number in range(random.randrange(5))]
    objects = [random.choice((b"", b"", b"", b"\xef\xbb\xbf")) + line for line in objects]
    return random.choice((b"\n", b"\r\n", b"\n\n")).join(objects) + random.choice((b"", b"\n"))


def zipped(random: Random, content: bytes) -> bytes:
    """Build a zip of one to three members with unusual names and compression methods, sometimes with a zip bomb."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are intended
        with zipfile.ZipFile(out, "w", random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
            for _ in range(random.randrange(1, 4)):
                name = random.choice(
                    (
                        "a.txt",
                        "../../up",
                        "/root",
                        "a/",
                        "ü",
                        "same",
                        "same",
                        "_SUCCESS",
                        "__MACOSX/x",
                        "C:\\x",
                        ".",
                        "x" * 300,
                    )
                )
                method = random.choice((None, None, None, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
                archive.writestr(name, content, method)
            if random.random() < 0.01:
                archive.writestr("bomb", b" " * (1 << random.randrange(16, 25)))
    data = bytearray(random.choice((b"", b"", b"PK\x07\x08")) + out.getvalue())
    if random.random() < 0.1:
        offset = data.find(b"PK\x01\x02")
        field = random.choice((8, 10, 16, 20, 24, 28, 34, 42))  # flags, method, CRC, sizes, name, disk, offset
        struct.pack_into("<H", data, offset + field, random.randrange(65_536))
    return gzip.compress(data, 1, mtime=0) if random.random() < 0.1 else bytes(data)


def gzipped(random: Random, content: bytes) -> bytes:
    """Build a gzip file of two members, sometimes with trailing bytes."""
    middle = random.randrange(len(content) + 1)
    data = gzip.compress(content[:middle], 1, mtime=0) + gzip.compress(content[middle:], 1, mtime=0)
    if random.random() < 0.1:
        data = gzip.compress(data, 1, mtime=0)
    return data + random.choice((b"", b"", b"", b"\0\0", b"junk", b"\x1f\x8b"))


def mutated(random: Random, data: bytes) -> bytes:
    """Change, delete, duplicate or insert a few bytes."""
    text = bytearray(data)
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        offset = random.randrange(len(text) + 1)
        match random.randrange(6):
            case 0 if text:
                text[offset % len(text)] = random.randrange(256)
            case 1:
                del text[offset : offset + random.randrange(1, 9)]
            case 2:
                text[offset:offset] = random.choice(_VALUES)
            case 3:
                text[offset:offset] = text[offset : offset + random.randrange(1, 200)]
            case 4:
                del text[offset:]
            case _:
                text[offset:offset] = random.choice((b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\0"))
    return bytes(text)
