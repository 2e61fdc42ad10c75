"""Internal helpers that every module of fastreg may use: checks of arguments, the base of descriptions, messages.

They know nothing of layers, models, data and searches, and users do not import them.
"""
