// Shows the OpenAPI document in Swagger UI. A file of its own, so that a strict content security policy allows it.
"use strict";

(() => {
  const main = document.getElementById("swagger-ui");
  window.SwaggerUIBundle({ url: main.dataset.schema, domNode: main, deepLinking: true, tryItOutEnabled: true });
})();
