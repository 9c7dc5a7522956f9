#pragma once
// `livecanary causes [ID]`: the catalogue of causes as a table, and one entry of it as a runbook.
#include <optional>
#include <ostream>
#include <string_view>

#include "probes/catalogue/catalogue.hpp"

namespace livecanary {

/// Without `id` every cause, grouped by class; with the id of a cause or of a class its runbook entry. With
/// `json` one JSON document in both languages, whatever `lang`. The exit code: 0, or 2 for an id that is not
/// there, with the nearest ones on `err`.
int print_causes(std::ostream& out, std::ostream& err, std::optional<std::string_view> id, Lang lang,
                 bool json);

}  // namespace livecanary
