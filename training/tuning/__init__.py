"""Members' settings, searched on the validation slice within a budget."""
