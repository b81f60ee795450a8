"""From record batches to Singer messages and state.

Private names of the SDK that the package relies on, each with a test in `tests/singer/test_private_names.py`. The SDK
is pinned to its minor version.

- Imported: `SDKBatchMessage`, `BatchConfig` and `BaseBatchFileEncoding` of `singer_sdk.helpers._batch`,
  `pop_deselected_record_properties` of `singer_sdk.helpers._catalog`, `FlatteningOptions`, `flatten_key` and
  `flatten_schema` of `singer_sdk.helpers._flattening`, `load_json` and `dump_json` of `singer_sdk.helpers._util`,
  `parse_environment_config` of `singer_sdk.configuration._dict_config`, `_ConfigInput` and `_plugin_log_level` of
  `singer_sdk.plugin_base`.
- Overridden in `ExportStream`: `_sync_records`, `_sync_batches`, `_write_schema_message` and
  `_write_activate_version_message` of `Stream`.
- Overridden in `TapCDPExport`: `_validate_config` and `_setup_signal_handlers` of `Tap`.
- The name of the frame of `CustomStreamMap._eval`, in which an expression failed.
- Read or set: `_tap`, `_stream_version` and `_initialized_at` of `Stream`, `_config` and `_env_var_prefix` of `Tap`.
  A `StreamMap` reads `flattening_options` and `transformed_schema` for each record, so they may be replaced.
"""
