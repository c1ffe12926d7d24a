"""A build makes nodes that nearly all stay: its collector of garbage need not look so often.

It took a twelfth of the time.
"""

import gc


def setup(app):
    gc.set_threshold(100_000, 50, 100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
