"""Lua functions that several scripts in Redis share."""

from __future__ import annotations

LAST_ID_OF = """
local function last_id_of(stream)
    if redis.call('EXISTS', stream) == 0 then return nil end
    local info = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then return info[i + 1] end
    end
end
"""
"""Returns the id of the last entry that a stream ever had, or nil if there is no stream."""
