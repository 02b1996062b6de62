"""What tests share: block data with a known answer, tiny bundles, a real redis-server."""
