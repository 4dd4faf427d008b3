"""Market data: readers and alignment of data-set directories, the quality report and the synthetic default.

Import from the modules: ``market`` (types), ``loading`` (``load_market``, ``coverage``), ``quality``, ``synthetic``.
This file imports nothing, so that naming the package costs nothing.
"""
