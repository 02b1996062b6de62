"""The report's page: `render` first, then a view a section, each with the template of its name."""
