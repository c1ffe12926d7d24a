"""A work cited is an item of a list: the role that docutils gives it is no longer in use."""


def list_items(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.connect("html-page-context", list_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
