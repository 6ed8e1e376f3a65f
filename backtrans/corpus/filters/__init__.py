"""Quality filters: published rules over documents and segments, each with its reason and source.

`ordered.Filters` applies those that are on, cheapest first, and names the first that objects. A
rule never changes a text: a segment stays a span of its document, kept whole or refused whole.
"""
