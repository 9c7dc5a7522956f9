#pragma once
// `livecanary doctor`: gathers the facts that doctor.hpp judges.
#include <iosfwd>
#include <string>

namespace livecanary::daemon {

struct DoctorCommand {
    std::string config_file{};
    bool json = false;  ///< one object a line
    bool colour = false;
};

/// 0, or 1 if something fails. Takes some seconds: name servers and anchors are asked.
int doctor(std::ostream& out, std::ostream& err, const DoctorCommand& command);

}  // namespace livecanary::daemon
