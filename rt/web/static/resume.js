// A reloaded tab still has its key; the address bar does not.
const key = sessionStorage.getItem("myomirror-token");
if (key && !new URLSearchParams(location.search).has("token")) {
  location.replace("/?token=" + encodeURIComponent(key));
}
