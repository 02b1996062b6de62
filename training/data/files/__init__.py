"""The forms in which tables come: archives, encodings, delimiters, headers, workbooks and JSON. Nothing of shops."""
