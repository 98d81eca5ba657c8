"""The kinds of tables: each makes a `Sheet` of a loaded sweep."""
