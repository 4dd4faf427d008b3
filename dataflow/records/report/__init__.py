"""The report of a run: what happened as charts and tables, made from the results directory alone.

``run_files`` reads, ``performance``, ``holdings``, ``risk``, ``rates``, ``activity`` and ``checks`` say what is to be
seen, ``sections`` puts it in order, ``drawing`` and ``pages`` show it.
"""
