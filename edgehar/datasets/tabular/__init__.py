"""Tables that people have, to recordings: ``edgehar data import``.

One file's way: ``dialect`` and ``readers`` (columns) → ``columns`` and ``units`` (what each of them is) → ``streams``
(who, when, what, in base units) → ``grid`` (steady recordings) → ``problems`` (what the user should know) → ``store``
(a data set by name, with what ``suggest`` says of training on it).
"""
