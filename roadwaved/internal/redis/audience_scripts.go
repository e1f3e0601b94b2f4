package redis

import goredis "github.com/redis/go-redis/v9"

// What is known of the audience of one live is in seven keys, all in one hash
// slot so that a script may use them together on a cluster.
const (
	audienceBeats   = iota // sorted set: open visits by the time they were last heard of
	audienceVisits         // hash: what is known of each open visit, see packVisit
	audienceClosed         // sorted set: closed visits by the time they were
	audienceOrigins        // hash: how many visits or reactions there are from an origin
	audienceLikes          // set of users
	audienceReports        // set of users
	audienceLive           // hash: visits, seeded, ends
)

func audienceKeys(liveID string) []string {
	prefix := "roadwave:{" + liveID + "}:"
	return []string{
		audienceBeats:   prefix + "beats",
		audienceVisits:  prefix + "visits",
		audienceClosed:  prefix + "closed",
		audienceOrigins: prefix + "origins",
		audienceLikes:   prefix + "likes",
		audienceReports: prefix + "reports",
		audienceLive:    prefix + "live",
	}
}

const (
	// memory is how many seconds a live is remembered after it was last touched.
	memory = 60 * 60
	// maxClosed is how many closed visits of a live are remembered, the last ones.
	maxClosed = 100_000
)

// Each script names the keys, reads the clock and can make the keys last: for
// ARGV[1] seconds, or until the live ends for good where it was dismissed. Times
// are in milliseconds, written out because Lua would give 1e+12.
const audiencePrelude = `
local beats, visits, closed, origins, likes, reports, live = unpack(KEYS)
local t = redis.call('TIME')
local seconds, ms = tonumber(t[1]), t[1] * 1000 + math.floor(t[2] / 1000)
local now = string.format('%.0f', ms)
local function keep()
	local ends = redis.call('HGET', live, 'ends') or string.format('%.0f', seconds + ARGV[1])
	for _, key in ipairs(KEYS) do
		redis.call('EXPIREAT', key, ends)
	end
end
local function full(field, limit)
	return tonumber(limit) > 0 and tonumber(redis.call('HGET', origins, field) or 0) >= tonumber(limit)
end
`

// What the scripts answer for a visit or a reaction.
const (
	audienceKnown = iota
	audienceNew
	audienceGone
	audienceCrowded
)

var (
	// ARGV: memory, and of each visit: id, packed, origin, limit. Gives an answer
	// for each. A beat of a known visit, which is nearly all of them, does not make
	// the keys last: counting does that every two seconds.
	touchScript = goredis.NewScript(audiencePrelude + `
local answers, joined = {}, false
for i = 2, #ARGV, 4 do
	local id, origin = ARGV[i], ARGV[i + 2]
	if redis.call('ZSCORE', beats, id) then
		redis.call('ZADD', beats, now, id)
		table.insert(answers, 0)
	elseif redis.call('ZSCORE', closed, id) then
		table.insert(answers, 2)
	elseif origin ~= '' and full('visit ' .. origin, ARGV[i + 3]) then
		table.insert(answers, 3)
	else
		redis.call('ZADD', beats, now, id)
		redis.call('HSET', visits, id, ARGV[i + 1])
		if origin ~= '' then
			redis.call('HINCRBY', origins, 'visit ' .. origin, 1)
		end
		redis.call('HINCRBY', live, 'visits', 1)
		table.insert(answers, 1)
		joined = true
	end
end
if joined then
	keep()
end
return answers
`)
	// ARGV: memory, maxClosed, ids. What is remembered of closed visits is trimmed
	// a tenth at a time: that costs a sort where Redis is embedded.
	closeScript = goredis.NewScript(audiencePrelude + `
for i = 3, #ARGV do
	local visit = redis.call('HGET', visits, ARGV[i])
	if visit then
		redis.call('HDEL', visits, ARGV[i])
		redis.call('ZREM', beats, ARGV[i])
		local length, rest = string.match(visit, '^(%d+) (.*)$')
		local field = 'visit ' .. string.sub(rest, 1, tonumber(length))
		if length ~= '0' and redis.call('HINCRBY', origins, field, -1) <= 0 then
			redis.call('HDEL', origins, field)
		end
	end
	redis.call('ZADD', closed, 'NX', now, ARGV[i])
end
if redis.call('ZCARD', closed) > ARGV[2] * 1.1 then
	redis.call('ZREMRANGEBYRANK', closed, 0, -(ARGV[2] + 1))
end
keep()
return 0
`)
	// ARGV: memory, silence in ms, page. Gives id, time and what is known, of each. A
	// server that is short of memory may have dropped one key and kept another: who
	// is in one alone is let go, and comes back with the next beat.
	silentScript = goredis.NewScript(audiencePrelude + `
local found = {}
local silent = redis.call('ZRANGEBYSCORE', beats, '-inf', string.format('%.0f', ms - ARGV[2]), 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #silent, 2 do
	local visit = redis.call('HGET', visits, silent[i])
	if visit then
		table.insert(found, silent[i])
		table.insert(found, silent[i + 1])
		table.insert(found, visit)
	else
		redis.call('ZREM', beats, silent[i])
	end
end
return found
`)
	// ARGV: memory, reaction, user, origin, limit. Gives an answer.
	reactScript = goredis.NewScript(audiencePrelude + `
local users = ARGV[2] == 'like' and likes or reports
local field = ARGV[2] .. ' ' .. ARGV[4]
if redis.call('SISMEMBER', users, ARGV[3]) == 1 then
	return 0
end
if ARGV[4] ~= '' then
	if full(field, ARGV[5]) then
		return 3
	end
	redis.call('HINCRBY', origins, field, 1)
end
redis.call('SADD', users, ARGV[3])
keep()
return 1
`)
	// ARGV: memory, reaction, whether these are the last, users.
	seedScript = goredis.NewScript(audiencePrelude + `
local users = ARGV[2] == 'like' and likes or reports
for i = 4, #ARGV do
	redis.call('SADD', users, ARGV[i])
end
if ARGV[3] == '1' then
	redis.call('HSET', live, 'seeded', 1)
end
keep()
return 0
`)
	// ARGV: memory. Gives listeners, likes, reports, visits, seeded.
	countScript = goredis.NewScript(audiencePrelude + `
keep()
return {
	redis.call('ZCARD', beats), redis.call('SCARD', likes), redis.call('SCARD', reports),
	tonumber(redis.call('HGET', live, 'visits') or 0), tonumber(redis.call('HGET', live, 'seeded') or 0),
}
`)
	// ARGV: memory.
	dismissScript = goredis.NewScript(audiencePrelude + `
redis.call('HSETNX', live, 'ends', string.format('%.0f', seconds + ARGV[1]))
keep()
return 0
`)
)
