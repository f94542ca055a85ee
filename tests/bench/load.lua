-- What wrk asks for, and one line of JSON at the end. Arguments: get | post BYTES
local method, length = "GET", 0
local block, count, salt = "", 0, ""

function init(args)
  if args[1] == "post" then
    method, length = "POST", tonumber(args[2])
    local random = io.open("/dev/urandom", "rb")
    salt = random:read(8)
    block = random:read(length) or ""
    random:close()
  end
end

function request()
  if method == "GET" then return wrk.format() end
  count = count + 1
  -- No two contents are alike: what is there already need not be written.
  local head = string.format("%016x", count) .. salt
  local body = length > #head and head .. string.sub(block, #head + 1) or ""
  return wrk.format("POST", nil, nil, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "refused": %d, "failed": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
