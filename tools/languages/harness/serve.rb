# Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.
require "json"
require "rack"
require "socket"
require "standardwebhooks"
require "stringio"

EXAMPLE = eval(File.read("example.rb"), binding, "example.rb")

# What a server that speaks Rack makes of a request.
def read_request(socket)
  socket.gets
  headers = socket.each_line("\r\n", chomp: true).take_while { |line| line != "" }.to_h { |line| line.split(": ", 2) }
  names = headers.transform_keys { |name| "HTTP_#{name.upcase.tr("-", "_")}" }
  body = socket.read(headers.fetch("content-length").to_i).force_encoding(Encoding::BINARY)
  Rack::Request.new(names.merge("REQUEST_METHOD" => "POST", "rack.input" => StringIO.new(body)))
end

def answer_to(request)
  [200, JSON.generate(EXAMPLE.call(request, ENV.fetch("WEBHOOK_SECRET")))]
rescue StandardWebhooks::WebhookVerificationError => refusal
  [401, refusal.message]
rescue StandardError => fault
  [500, fault.full_message(highlight: false)]
end

server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT")))
loop do
  socket = server.accept
  status, text = answer_to(read_request(socket))
  socket.write("HTTP/1.1 #{status} -\r\nconnection: close\r\n\r\n#{text}")
ensure
  socket&.close
end
