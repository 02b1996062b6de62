// Java's own client as it comes, which offers to go on in HTTP/2 with each request.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

class Client {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        post(args[0] + "/recommend", args[1]);
        post(args[0] + "/events", args[2]);
        post(args[0] + "/recommend", args[1]);
        say(HttpRequest.newBuilder(URI.create(args[0] + "/health/live")).build());
    }

    static void post(String url, String file) throws Exception {
        say(HttpRequest.newBuilder(URI.create(url)).header("content-type", "application/json")
            .POST(BodyPublishers.ofFile(Path.of(file))).build());
    }

    static void say(HttpRequest request) throws Exception {
        var response = CLIENT.send(request, BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.body());
    }
}
