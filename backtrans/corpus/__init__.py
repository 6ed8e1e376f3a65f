"""From an input object to documents, and from a document to segments.

`reader.documents` yields one record a row, in order: a document, or why there is none. No row is
skipped, whatever the object holds. `segment.spans` says which pieces of a document could be a
response. Nothing here knows stores, ledgers or stages: a reader takes an open binary file.
"""
