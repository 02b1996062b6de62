"""The report's page: `render` draws it from one view per section, each with the template of its name."""
