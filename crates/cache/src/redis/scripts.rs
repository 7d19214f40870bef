//! The scripts that change the shared cache: each compares and writes in one step, on the server.

/// The beginning of every script: `now`, in milliseconds on the server's clock. A test gives its own time as `ARGV[1]`.
macro_rules! script {
    ($body:literal) => {
        concat!(
            "if redis.replicate_commands then redis.replicate_commands() end\n",
            "local now = tonumber(ARGV[1])\n",
            "if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end\n",
            $body
        )
    };
}

/// In place of the time by which AWS was asked: a value put by hand.
pub const BY_HAND: i64 = -1;

/// Stores a copy unless a newer one stands there, or the secret was dropped later. Publishes a version that no record had.
/// Returns the time by which AWS was asked for the copy when it was stored; 0 where it was dropped, -1 where a newer one stands.
///
/// The command may have been under way for long: then the copy is older than its age when it was sent, and the time by which
/// AWS was asked counts, as the sender knows it. Below 0 it is a value put by hand: it is newer than what stands there, unless that is
/// from a time that this server has not reached by a second.
///
/// `KEYS`: the copy's, the drop's (left out while a cluster moves their slot, since it then takes one key only); `ARGV`: now or
/// 0, age in ms, the time by which AWS was asked, tail of the head, envelope, how long to keep it in ms, channel,
/// beginning and end of the message, the message for version 0.1.0.
pub const SHARE: &str = script!(
    "local by = tonumber(ARGV[3])
local asked = math.min(now - tonumber(ARGV[2]), by)
local dropped = KEYS[2] and redis.pcall('GET', KEYS[2])
dropped = type(dropped) == 'string' and tonumber(dropped) or 0
local current = redis.pcall('GETRANGE', KEYS[1], 0, 47)
if type(current) ~= 'string' then redis.call('UNLINK', KEYS[1]); current = '' end
local is_copy = string.sub(current, 1, 2) == '2c'
local stored = is_copy and tonumber(string.sub(current, 3, 17)) or 0
if by < 0 then asked = math.max(now, math.min(math.max(stored, dropped) + 1, now + 1000)) end
if dropped >= asked then return 0 end
if stored >= asked then return -1 end
local at = string.format('%015.0f', asked)
redis.call('SET', KEYS[1], '2c' .. at .. ARGV[4] .. ARGV[5], 'PX', ARGV[6])
if not is_copy or string.sub(current, 33, 48) ~= string.sub(ARGV[4], 16, 31) then
  redis.call('PUBLISH', ARGV[7], ARGV[8] .. at .. ARGV[9])
  redis.call('PUBLISH', ARGV[7], ARGV[10])
end
return asked"
);

/// Drops the copy of a secret: what was asked for before is refused from now on. A copy that was asked for later stays, as
/// after a late "not there", and so does the time of a later drop. Returns 1 when it was dropped.
///
/// `KEYS`: the copy's, the drop's; `ARGV`: now or 0, age of the drop in ms, how long to remember it in ms, channel, beginning
/// and end of the message, the message for version 0.1.0.
pub const DROP: &str = script!(
    "local dropped = now - tonumber(ARGV[2])
local current = redis.pcall('GETRANGE', KEYS[1], 0, 16)
local is_copy = type(current) == 'string' and string.sub(current, 1, 2) == '2c'
if is_copy and (tonumber(string.sub(current, 3, 17)) or 0) > dropped then return 0 end
local at = string.format('%015.0f', dropped)
redis.call('UNLINK', KEYS[1])
local last = KEYS[2] and redis.pcall('GET', KEYS[2])
local is_last = type(last) ~= 'string' or (tonumber(last) or 0) < dropped
if KEYS[2] and is_last then redis.call('SET', KEYS[2], at, 'PX', ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[5] .. at .. ARGV[6])
redis.call('PUBLISH', ARGV[4], ARGV[7])
return 1"
);

/// Marks an environment as cleared. Returns the time.
///
/// `KEYS[1]` the mark; `ARGV`: now or 0, how long to remember it in ms, channel, beginning of the message, the message for
/// version 0.1.0.
pub const CLEAR: &str = script!(
    "local at = string.format('%015.0f', now)
redis.call('SET', KEYS[1], at, 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4] .. at)
redis.call('PUBLISH', ARGV[3], ARGV[5])
return at"
);

/// Removes a copy of one environment, and a copy of version 0.1.0: instances of that version would go on reading it. Such a
/// copy (its first byte is 0 or 1) does not name its environment, so the key has to. `KEYS[1]` the key; `ARGV[1]` the
/// environment's tag.
pub const REMOVE: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 63)
if type(current) ~= 'string' or current == '' then return 0 end
local is_own = string.sub(current, 1, 2) == '2c' and string.sub(current, 49, 64) == ARGV[1]
if is_own or string.byte(current) <= 1 then return redis.call('UNLINK', KEYS[1]) end
return 0";

/// Prolongs a lease that is still its holder's. `KEYS[1]` the lease; `ARGV`: token, term in ms.
pub const KEEP_LEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                              return redis.call('PEXPIRE', KEYS[1], ARGV[2]) else return 0 end";

/// Ends a lease that is still its holder's. `KEYS[1]` the lease; `ARGV[1]` the token.
pub const END_LEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                             return redis.call('UNLINK', KEYS[1]) else return 0 end";
