"""The rules that platform teams write: schema, loading, compilation."""
