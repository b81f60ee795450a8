"""From record batches to Singer messages and state.

Private names of the SDK that the package relies on, each with a test in `tests/singer/test_private_names.py`. The SDK
is pinned to its minor version.

- Imported: `SDKBatchMessage`, `BatchConfig` and `BaseBatchFileEncoding` of `singer_sdk.helpers._batch`,
  `pop_deselected_record_properties` of `singer_sdk.helpers._catalog`, `FlatteningOptions`, `flatten_key` and
  `flatten_schema` of `singer_sdk.helpers._flattening`, `load_json` of `singer_sdk.helpers._util`, `_ConfigInput` of
  `singer_sdk.plugin_base`.
- Overridden in `ExportStream`: `_sync_records`, `_sync_batches`, `_write_schema_message` and
  `_write_activate_version_message` of `Stream`.
- Overridden in `TapCDPExport`: `_validate_config` and `_setup_signal_handlers` of `Tap`.
- Read or set: `_tap`, `_stream_version` and `_initialized_at` of `Stream`, `_config` of `Tap`. A `StreamMap` reads
  `flattening_options` and `transformed_schema` for each record, so they may be replaced.
"""
