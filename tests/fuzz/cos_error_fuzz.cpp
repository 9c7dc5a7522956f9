// What was read is bounded by the body, and written and read back the same.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/cos_error.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Every byte of ASCII as a character reference, so that no white space is lost.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x80 ? "&#" + std::to_string(byte) + ";" : std::string(1, c);
    }
    return out;
}

std::string element(const std::string& name, const std::string& text) {
    return "<" + name + ">" + escaped(text) + "</" + name + ">";
}

std::string written(const CosError& error) {
    std::string text = "<Error>" + element("Code", error.code) + element("Message", error.message) +
                       element("Resource", error.resource) + element("RequestId", error.request_id) +
                       element("TraceId", error.trace_id);
    for (const auto& field : error.more) text += element(field.name, field.text);
    return text + "</Error>";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto error = parse_cos_error({reinterpret_cast<const char*>(data), size});
    if (!error) return 0;
    require(!error->code.empty() && error->more.size() <= max_cos_error_fields);
    std::size_t total = error->code.size() + error->message.size() + error->resource.size() +
                        error->request_id.size() + error->trace_id.size();
    for (const auto& field : error->more) total += field.name.size() + field.text.size();
    require(total <= size);

    const std::string text = written(*error);
    if (text.size() > max_cos_error_size) return 0;
    const auto again = parse_cos_error(text);
    require(again && *again == *error);
    return 0;
}
