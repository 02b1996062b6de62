"""Estimate an arm's value from other arms' answers, before anybody sees it."""
