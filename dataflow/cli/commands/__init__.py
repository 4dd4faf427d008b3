"""The commands of ``basis``, a module a family.

Modules here import nothing heavy at their top: pandas, Hamilton and pydantic are loaded by the command that runs, so
that ``basis --help`` answers at once.
"""
