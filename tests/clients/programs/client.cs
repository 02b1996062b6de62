// .NET's HttpClient, as it comes; `dotnet run client.cs` takes .NET 10.
using System.Net.Http.Headers;

var client = new HttpClient();
var (url, small, large) = (args[0], args[1], args[2]);

async Task Say(Task<HttpResponseMessage> asking)
{
    var response = await asking;
    Console.WriteLine($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
}

HttpContent Body(string file)
{
    var body = new StreamContent(File.OpenRead(file));
    body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
    return body;
}

await Say(client.PostAsync($"{url}/recommend", Body(small)));
await Say(client.PostAsync($"{url}/events", Body(large)));
await Say(client.PostAsync($"{url}/recommend", Body(small)));
await Say(client.GetAsync($"{url}/health/live"));
