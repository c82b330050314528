<?php
// Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.

require __DIR__ . '/vendor/autoload.php';

$secret = getenv('WEBHOOK_SECRET');

try {
    require __DIR__ . '/example.php';
    echo json_encode($event);
} catch (StandardWebhooks\Exception\WebhookVerificationException $refusal) {
    http_response_code(401);
    echo $refusal->getMessage();
} catch (Throwable $fault) {
    http_response_code(500);
    echo $fault;
}
