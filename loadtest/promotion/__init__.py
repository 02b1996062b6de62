"""`make drill-promotion`: bundles promoted, refused and rolled back while people are served.

Every answer is compared with what its version says when nobody else asks. Reads HTTP and the store's folder only.
"""
