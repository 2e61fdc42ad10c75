"""Who trains the folds: the calling thread, threads, processes, or an executor of somebody else's."""
