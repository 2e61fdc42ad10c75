"""What all modules of fastreg may use and no user names: checks of arguments, the base of descriptions, messages.

Knows nothing of layers, models, data and searches.
"""
