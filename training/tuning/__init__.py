"""Search members' settings on the validation slice within a budget."""
