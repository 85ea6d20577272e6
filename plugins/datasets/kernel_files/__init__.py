"""Dataset types for files: pickle, json, yaml, text, csv, parquet, excel and numpy, here or elsewhere."""
