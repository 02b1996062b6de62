# Ruby's Net::HTTP, as it comes.
require "net/http"

url, small, large = ARGV
json = { "Content-Type" => "application/json" }
say = ->(response) { puts "#{response.code} #{response.body}" }
say.(Net::HTTP.post(URI("#{url}/recommend"), File.read(small), json))
say.(Net::HTTP.post(URI("#{url}/events"), File.read(large), json))
say.(Net::HTTP.post(URI("#{url}/recommend"), File.read(small), json))
say.(Net::HTTP.get_response(URI("#{url}/health/live")))
