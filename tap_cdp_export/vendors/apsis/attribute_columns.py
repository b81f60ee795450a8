"""Optional columns of `apsis_profiles`: one for each exported attribute and tag, named after it.

They are made from the definitions as they are at the start of a run, and a run keeps to those that its catalog
knows: what has been defined since shows with the next discovery, what is no longer defined is null. A row is one
section's, so what sections define under the same name and type (each has its own "Email") shares a column. Where
that cannot be, the younger definition, the one with the higher version ID, gets a suffix: a column keeps its name
when new definitions appear.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.records.properties import FREE_OBJECT
from tap_cdp_export.records.typed_columns import column_name, type_word, with_suffix
from tap_cdp_export.vendors.apsis.definitions import age

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from tap_cdp_export.vendors.apsis.definitions import Definition, Definitions

_TYPE_FIELDS: Final = ("type", "data_type", "dataType", "value_type", "valueType", "format")
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(("truefalse", "boolean", "bool"), th.BooleanType),
    **dict.fromkeys(("number", "integer", "int", "long"), th.IntegerType),
    **dict.fromkeys(("numberwithdecimals", "numberwithdecimal", "decimal", "double", "float"), th.NumberType),
    **dict.fromkeys(("timestamp", "datetime"), th.DateTimeType),
    "date": th.DateType,
    **dict.fromkeys(("address", "object"), FREE_OBJECT),
}
_ATTRIBUTE: Final = "attribute_"
_TAG: Final = "tag_"
_PREFIXES: Final = (_ATTRIBUTE, _TAG)


class AttributeColumns:
    """The columns, and what fills them.

    Attributes:
        properties: their JSON schemas by name.
        attribute_ids: the IDs that are known to be an attribute's: all that the account defines.
        tag_ids: the same of tags.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.properties: dict[str, Any] = {}
        self.attribute_ids: set[str] = set()
        self.tag_ids: set[str] = set()
        self._attributes: list[tuple[str, str]] = []
        self._tags: list[tuple[str, frozenset[str]]] = []
        self.follow({})

    @property
    def names(self) -> Collection[str]:
        """The columns that a catalog keeps."""
        return self._kept.keys()

    @property
    def ids(self) -> frozenset[str]:
        """The IDs that `values` looks for."""
        return frozenset().union([one for one, _ in self._attributes], *(ids for _, ids in self._tags))

    @classmethod
    def read(
        cls, definitions: Definitions, *, attributes: AbstractSet[str], tags: AbstractSet[str]
    ) -> AttributeColumns:
        """Make the columns of the attributes and tags that are exported.

        Args:
            definitions: of the account.
            attributes: IDs or discriminators of the exported ones.
            tags: the same of tags.

        Returns:
            The columns; none for what the account does not define.
        """
        made = cls()
        all_attributes, all_tags = definitions.of_kind("attributes"), definitions.of_kind("tags")
        made.attribute_ids = {identifier for attribute in all_attributes for identifier in attribute.ids}
        made.tag_ids = {identifier for tag in all_tags for identifier in tag.ids}
        properties: list[th.Property[Any]] = []
        for column, shared in _named(_ATTRIBUTE, all_attributes, attributes):
            kind = _type(shared[0])
            made._attributes += [(identifier, column) for definition in shared for identifier in definition.ids]
            properties.append(th.Property(column, kind, description=f"Attribute {_described(shared)}"))
        for column, shared in _named(_TAG, all_tags, tags):
            made._tags.append((column, frozenset(one for definition in shared for one in definition.ids)))
            properties.append(
                th.Property(column, th.BooleanType, description=f"Whether it has the tag {_described(shared)}")
            )
        made.properties = th.PropertiesList(*properties).to_dict()["properties"]
        made.follow(made.properties)
        return made

    def follow(self, properties: Mapping[str, Any]) -> None:
        """Keep to the columns and types of a catalog, which may be that of an earlier discovery.

        Args:
            properties: JSON schemas of the stream's columns by name.
        """
        self._kept = {name: inner for name, inner in properties.items() if name.startswith(_PREFIXES)}
        self._mapper = RecordMapper({"properties": self._kept}, tap_columns=frozenset(), time=any_time)
        self._dates = [name for name, inner in self._kept.items() if inner.get("format") == "date"]

    def values(self, attributes: Mapping[str, Any], tags: Collection[str]) -> dict[str, Any]:
        """Fill the columns of one row.

        Args:
            attributes: of a section, by ID.
            tags: of the section.

        Returns:
            Every column; null where the section has no value, or one of another type.
        """
        if not self._kept:
            return {}
        fields = {column: attributes[identifier] for identifier, column in self._attributes if identifier in attributes}
        fields |= {column: not identifiers.isdisjoint(tags) for column, identifiers in self._tags}
        for column in self._dates:
            if not _is_date(fields.get(column)):
                fields[column] = None
        record = self._mapper.record(fields, {})
        del record["extra"]  # what does not fit is in `attributes` anyway
        return record


def _named(
    prefix: str, definitions: list[Definition], wanted: AbstractSet[str]
) -> Iterator[tuple[str, list[Definition]]]:
    """Name the columns of all definitions, the oldest first; give those of the wanted ones."""
    columns: dict[str, list[Definition]] = defaultdict(list)
    for definition in sorted(definitions, key=lambda one: min(map(age, one.ids), default=(0, ""))):
        column = column_name(prefix, definition.rest.get("name"))
        there = columns[column]
        if column == prefix or any(
            one.section == definition.section or _type(one) is not _type(definition) for one in there
        ):
            names = f"{definition.section.discriminator}/{definition.discriminator or definition.ids}"
            column = with_suffix(column, names)
        columns[column].append(definition)
    for column, there in columns.items():
        if shared := [one for one in there if not wanted.isdisjoint({*one.ids, one.discriminator})]:
            yield column, shared


def _type(definition: Definition) -> Any:  # noqa: ANN401 -- the SDK's types
    """Find the type of an attribute's values; the field that says so is not documented, and text is the widest."""
    for fields in (definition.rest, *(version.rest for version in definition.versions)):
        for name in _TYPE_FIELDS:
            value = fields.get(name)
            value = value.get("type") if isinstance(value, dict) else value
            if isinstance(value, str):
                return _TYPES.get(type_word(value), th.StringType)
    return th.StringType


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _described(shared: list[Definition]) -> str:
    names = dict.fromkeys(str(definition.rest.get("name")) for definition in shared)
    return f"{' / '.join(names)} (IDs {', '.join(one for definition in shared for one in definition.ids)})."
