// Package wire is how a workspace's policy crosses processes and is stored: rows keep what events tell, and rpc takes and answers the same.
// It knows no technology but the generated messages, so that the adapters may share it. Imports those, and the packages of workspaces and admission.
package wire

import (
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/workspace"
)

// Policy is p as others are told it.
func Policy(p workspace.Policy) *workspacev1.Policy {
	return &workspacev1.Policy{
		SignUp: signUp(p.Admission.SignUp), EmailDomains: p.Admission.EmailDomains, Suspended: p.Suspended,
		Limits: &workspacev1.Limits{
			Members: p.Limits.Members, Notes: p.Limits.Notes, Bytes: p.Limits.Bytes, RequestsPerMinute: p.Limits.RequestsPerMinute,
		},
		Retention: &workspacev1.Retention{TrashDays: p.Retention.TrashDays, RevisionDays: p.Retention.RevisionDays},
	}
}

// ParsePolicy is what m says, unchecked. nil is open, without limits; a way to sign up that is not known yet is one that no rule allows.
func ParsePolicy(m *workspacev1.Policy) workspace.Policy {
	limits, kept := m.GetLimits(), m.GetRetention()
	return workspace.Policy{
		Admission: admission.Rules{SignUp: parseSignUp(m.GetSignUp()), EmailDomains: m.GetEmailDomains()},
		Limits: workspace.Limits{
			Members: limits.GetMembers(), Notes: limits.GetNotes(), Bytes: limits.GetBytes(), RequestsPerMinute: limits.GetRequestsPerMinute(),
		},
		Retention: workspace.Retention{TrashDays: kept.GetTrashDays(), RevisionDays: kept.GetRevisionDays()},
		Suspended: m.GetSuspended(),
	}
}

func signUp(s admission.SignUp) workspacev1.SignUp {
	switch s {
	case admission.Invited:
		return workspacev1.SignUp_SIGN_UP_INVITATION
	case admission.Closed:
		return workspacev1.SignUp_SIGN_UP_CLOSED
	}
	return workspacev1.SignUp_SIGN_UP_OPEN
}

func parseSignUp(s workspacev1.SignUp) admission.SignUp {
	switch s {
	case workspacev1.SignUp_SIGN_UP_UNSPECIFIED, workspacev1.SignUp_SIGN_UP_OPEN:
		return admission.Open
	case workspacev1.SignUp_SIGN_UP_INVITATION:
		return admission.Invited
	case workspacev1.SignUp_SIGN_UP_CLOSED:
		return admission.Closed
	}
	return admission.SignUp(s.String())
}
