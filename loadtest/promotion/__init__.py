"""`make drill-promotion`: promote, refuse and roll back bundles while people are served.

Every answer is compared with what its version says when nobody else asks. The drill uses only HTTP and the store's
folder.
"""
