//! Does a JWT hold here and now, and is it for us (R-J001, R-J010, R-J023)?

use super::Verified;
use crate::auth::dates::Dates;
use crate::auth::reason::Reason;
use crate::wire::Millis;

impl Verified<'_> {
    /// Does it hold now, and is it for us?
    ///
    /// # Errors
    /// The reason it does not, and a clause for the operator.
    pub(in crate::auth) fn judge(&self, now: Millis) -> Result<(), (Reason, &'static str)> {
        let Self { issuer, claims } = self;
        self.dates().hold(issuer.bounds, now).map_err(|why| (Reason::JwtDates, why))?;
        let ours = |audience: &String| issuer.audiences.contains(audience);
        if !claims.audiences.iter().any(ours) {
            return Err((Reason::Audience, "made for somebody else"));
        }
        if issuer.sole_audience && claims.audiences.len() != 1 {
            return Err((Reason::Audience, "made for others, too"));
        }
        if issuer.once && claims.id.is_none() {
            return Err((Reason::UnreadableJwt, "no jti, by which it would be good once"));
        }
        Ok(())
    }

    fn dates(&self) -> Dates {
        let claims = &self.claims;
        Dates {
            issued: claims.issued,
            authenticated: self.authenticated(),
            begin: claims.not_before,
            end: claims.expires,
            session_until: None,
        }
    }

    /// When its subject proved himself there: no later than it was made.
    pub(in crate::auth) fn authenticated(&self) -> Millis {
        self.claims.authenticated.map_or(self.claims.issued, |instant| instant.min(self.claims.issued))
    }

    /// When what is got by it ends at the latest.
    pub(in crate::auth) fn session_end(&self) -> Millis {
        self.dates().session_end(self.issuer.bounds)
    }

    /// Until when it must be remembered that it was used.
    pub(in crate::auth) fn until(&self) -> Millis {
        self.dates().remembered(self.issuer.bounds)
    }
}
