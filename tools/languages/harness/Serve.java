// Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.
import com.standardwebhooks.exceptions.WebhookVerificationException;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

class Serve {
    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Serve::receive);
        server.start();
    }

    private static void receive(HttpExchange exchange) throws IOException {
        try {
            byte[] body = exchange.getRequestBody().readAllBytes();
            String secret = System.getenv("WEBHOOK_SECRET");
            answer(exchange, 200, Notifications.read(secret, body, exchange.getRequestHeaders()));
        } catch (WebhookVerificationException refusal) {
            answer(exchange, 401, refusal.getMessage());
        } catch (Exception fault) {
            answer(exchange, 500, fault.toString());
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }
}
